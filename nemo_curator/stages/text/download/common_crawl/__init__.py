"""Web pages of Common Crawl."""
