"""Other formats of annotated images, read into the content of COCO instances files."""
