"""What was asked: the configuration file, read and checked."""
