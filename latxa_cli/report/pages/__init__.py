"""Pages for a browser: one HTML file each, which loads nothing and shows untrusted texts as texts.

- `shell`: what all pages have in common.
- `audit`: the page of an audit.
- `report_page`: the page of a report. `answers` holds the items that can be browsed, and `browse.js` shows them.
"""
