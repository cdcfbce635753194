//! A grid of terminal cells with eight braille dots each, and letters on top.

#[derive(Clone, Copy, Default)]
struct Cell {
    /// Bits of the braille pattern.
    dots: u8,
    letter: Option<char>,
    owner: usize,
}

/// Cells; dots are addressed from the top left, two across and four down in each cell.
pub(super) struct Grid {
    columns: usize,
    cells: Vec<Cell>,
}

/// Bit of a dot by its place in the cell, `[down][across]` (Unicode, block U+2800).
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Grid {
    pub(super) fn new(columns: usize, lines: usize) -> Self {
        Self {
            columns,
            cells: vec![Cell::default(); columns * lines],
        }
    }

    fn cell(&mut self, x: usize, y: usize) -> Option<&mut Cell> {
        if x / 2 >= self.columns {
            return None;
        }
        self.cells.get_mut(y / 4 * self.columns + x / 2)
    }

    fn dot(&mut self, x: usize, y: usize, owner: usize) {
        let bit = BITS[y % 4][x % 2];
        if let Some(cell) = self.cell(x, y) {
            cell.dots |= bit;
            cell.owner = owner;
        }
    }

    /// Joins dots with straight lines; a single one stays a dot.
    pub(super) fn lines(&mut self, dots: &[(usize, usize)], owner: usize) {
        if let &[(x, y)] = dots {
            self.dot(x, y, owner);
        }
        for pair in dots.windows(2) {
            if let &[from, to] = pair {
                self.line_between(from, to, owner);
            }
        }
    }

    fn line_between(&mut self, from: (usize, usize), to: (usize, usize), owner: usize) {
        let (dx, dy) = (from.0.abs_diff(to.0), from.1.abs_diff(to.1));
        let steps = dx.max(dy).max(1);
        let at = |a: usize, b: usize, step: usize| {
            let share = step as f64 / steps as f64;
            (a as f64 + (b as f64 - a as f64) * share).round() as usize
        };
        for step in 0..=steps {
            self.dot(at(from.0, to.0, step), at(from.1, to.1, step), owner);
        }
    }

    /// Puts a letter where a dot is, unless another letter is there.
    pub(super) fn letter(&mut self, (x, y): (usize, usize), letter: char, owner: usize) {
        if let Some(cell) = self.cell(x, y)
            && cell.letter.is_none()
        {
            cell.letter = Some(letter);
            cell.owner = owner;
        }
    }

    /// The text of a line; `style` gets the owner and text of each run of cells, `empty` stands
    /// where there is nothing.
    pub(super) fn line(
        &self,
        line: usize,
        empty: char,
        style: impl Fn(usize, &str) -> String,
    ) -> String {
        let start = line * self.columns;
        let cells = self
            .cells
            .get(start..start + self.columns)
            .unwrap_or_default();
        let mut text = String::new();
        let owned = |cell: &Cell| (cell.dots != 0 || cell.letter.is_some()).then_some(cell.owner);
        for run in cells.chunk_by(|a, b| owned(a) == owned(b)) {
            let shown: String = run.iter().map(|cell| cell.shown(empty)).collect();
            match run.first().and_then(owned) {
                Some(owner) => text.push_str(&style(owner, &shown)),
                None => text.push_str(&shown),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Cell {
    fn shown(self, empty: char) -> char {
        match self.letter {
            Some(letter) => letter,
            None if self.dots == 0 => empty,
            None => char::from_u32(0x2800 + u32::from(self.dots)).unwrap_or(empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_letters() {
        let mut grid = Grid::new(3, 2);
        grid.lines(&[(0, 7), (5, 0)], 1);
        grid.letter((5, 0), 'A', 1);
        grid.letter((5, 0), 'B', 2);
        grid.lines(&[(99, 99)], 3);
        let plain = |_: usize, text: &str| text.to_owned();
        assert_eq!(grid.line(0, ' ', plain), " ⢀A");
        assert_eq!(grid.line(1, '.', plain), "⡰⠁.");
        assert_eq!(grid.line(9, ' ', plain), "");
    }
}
