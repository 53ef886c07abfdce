"""The figures of a sweep, for screens and for print: one module per figure; ``style`` has what they share."""
