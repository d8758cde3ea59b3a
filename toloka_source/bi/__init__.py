"""What people look at: views for BI tools, made after each load, and a page with charts."""
