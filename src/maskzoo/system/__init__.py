"""The machine below: files, processes, memory, hardware."""
