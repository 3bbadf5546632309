"""Ways to solve a schedule, behind one port."""
