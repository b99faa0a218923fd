"""COCO data sets and predictions written in the formats of labelling tools and other trainers."""
