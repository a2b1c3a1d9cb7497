"""Every figure, in one style: curves of training, ratings with their intervals, heat maps of who met and beat whom."""
