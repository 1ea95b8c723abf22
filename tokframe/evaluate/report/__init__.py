"""Report: a comparison as a table and as an HTML page, an analysis as a summary and as plots."""
