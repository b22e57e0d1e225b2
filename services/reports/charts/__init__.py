"""Charts as hand-written SVG: direct labels, few colours, variables for light and dark."""
