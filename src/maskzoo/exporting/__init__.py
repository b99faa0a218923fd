"""The network as a file for other runtimes, compared with the network itself."""
