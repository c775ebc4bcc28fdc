"""Web pages as sources of a knowledge base: fetched with care, again on a schedule, if changed."""
