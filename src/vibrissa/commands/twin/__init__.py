"""`vibrissa twin …`: an emulated rig, and what one does to it."""
