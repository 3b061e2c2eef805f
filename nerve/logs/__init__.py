"""Log records on their way from a worker to the parent.

Each worker generation has a pipe of its own (`sending`, `receiving`) and text in it
(`frames`). `rate` is the bucket that both ends keep, and what is printed as well.
"""

from nerve.logs.rate import Rate
from nerve.logs.receiving import RecordEvents, RecordsOf
from nerve.logs.sending import RecordPipe, send_records_to, set_levels

__all__ = ["Rate", "RecordEvents", "RecordPipe", "RecordsOf", "send_records_to", "set_levels"]
