"""Floor 2: the simulated arm (MuJoCo behind the Arm protocol)."""
