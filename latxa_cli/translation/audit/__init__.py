"""Audits of translations that were made elsewhere, beside their sources.

Read `audit` first, which judges each record; then `store`, where records are joined on disk; `agreement`, by which the
translation of another record is known; `runs`, which says where faults lie; `marks`, what a reader is shown of a fault;
`quality`, chrF++ and BLEU against references.
"""
