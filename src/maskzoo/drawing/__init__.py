"""Pictures of objects: outlines, labels, colours."""
