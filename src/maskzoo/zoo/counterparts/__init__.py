"""Models of ours as those of torchvision, detectron2, mmdetection and PaddleDetection: the way back."""
