"""Every figure, in one style.

- `gallery`: which figures some records give, and what is drawn in each.
- `rows` (a name, a value, an interval), `lines` (training curves), `intervals` (ratings), `heat` (maps of battles and
  correlations): how each looks. `style` is what all have in common.
- `curves`: the metrics of training runs, as `lines` draws them.
"""
