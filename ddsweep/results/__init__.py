"""From run folders to tables and pictures: results, their collection, and how they are shown."""
