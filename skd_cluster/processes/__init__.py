"""What runs: three programs."""
