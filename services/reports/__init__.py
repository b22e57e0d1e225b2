"""Reports: turns a posted token or period into one finished document, exactly once."""
