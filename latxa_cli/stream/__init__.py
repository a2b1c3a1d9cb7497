"""What every verb stands on.

- Records: `kinds` declares them, of `fields` and `rules`; `checks` holds `records` to them; `chat_formats` are other
  spellings.
- Reading: `sources` and `endings` (which files), `inputs` (their bytes; also `parquet`, `json_text`), `reader` (checked
  records), `cutting` and `spool` (parts of large sources), `intake` (what a run reads).
- Writing: `writer` (one file: `.part`, then its name), `outputs` (all files of a run), `appended` (those
  that grow while they are read) and their `keys`, `rejects`, `manifest`, `resume`.
- A run: `run` joins them. `terminal` and `display` are what people see.
- Tools: `errors`, `files` (intermediate ones), `locks`, `named` (`NAME=VALUE`), `secrets` (which are hidden), `sizes`
  (`2GB`), `tables` (TOML files).
"""
