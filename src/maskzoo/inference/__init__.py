"""From a photo to a prediction: the user's objects, and pictures of them."""
