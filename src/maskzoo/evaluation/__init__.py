"""From predictions and annotations to AP: result rows, COCO's numbers, and what they say."""
