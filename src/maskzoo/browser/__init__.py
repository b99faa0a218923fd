"""The page that shows what is on a photo: before a server, or alone in the browser."""
