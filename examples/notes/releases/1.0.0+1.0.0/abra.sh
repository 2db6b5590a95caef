# No configs, so no versions of them.
