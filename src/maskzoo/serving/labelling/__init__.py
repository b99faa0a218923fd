"""What labelling tools ask for: Label Studio and X-AnyLabeling."""
