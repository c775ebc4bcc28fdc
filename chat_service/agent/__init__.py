"""An agent: a model that may use the tools of an allow-list, within bounds."""
