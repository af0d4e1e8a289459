"""Who is shown where: layouts are pure functions from a view of the room and a canvas to tiles."""
