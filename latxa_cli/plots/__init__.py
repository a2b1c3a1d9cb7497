"""Every figure, in one look: curves of training, ratings with their intervals, heat maps of who met and beat whom."""
