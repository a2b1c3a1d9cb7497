"""Every figure, in one style: training curves, ratings with intervals, heat maps of battles."""
