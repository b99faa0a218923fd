"""The whole story on made-up pictures: `maskzoo demo`."""
