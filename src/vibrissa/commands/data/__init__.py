"""`vibrissa data …`: one file a word."""
