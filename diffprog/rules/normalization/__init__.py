"""Arrays brought to mean zero and variance or length one."""
