"""One run of one resource: pages become Arrow tables, and the cursor moves."""
