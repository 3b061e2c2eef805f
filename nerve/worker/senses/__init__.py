"""Where `nerve.worker.rehearsal` finds its sense."""
