"""Pictures without a plotting library: shapes as data, charts made of them, SVG and PNG written from them."""
