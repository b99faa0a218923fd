"""What a network costs on this machine: time, memory, stages, share of the hardware's peak."""
