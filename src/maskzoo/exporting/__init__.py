"""The network as a file for other runtimes, held against the network itself."""
