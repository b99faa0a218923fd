"""The recipe from the data: what `maskzoo train DATA` decides, each value with its reason."""
