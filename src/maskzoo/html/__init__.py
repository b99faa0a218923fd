"""What every HTML page shares: its frame, its plots."""
