"""What a run leaves on the disk: checkpoints, and the model and its card that are made of one."""
