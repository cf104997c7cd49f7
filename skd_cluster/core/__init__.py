"""What is true: decisions, formats and arithmetic; no clock, no IO."""
