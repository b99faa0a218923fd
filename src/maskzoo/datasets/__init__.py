"""From photos on disk to the network's input."""
