"""What a comparison is shown as: tables, plots and the HTML page."""
