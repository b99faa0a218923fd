"""Videos, cameras and streams, read and written by PyAV."""
