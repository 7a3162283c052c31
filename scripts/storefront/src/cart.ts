export const total = (items: Item[]) => items.reduce((sum, one) => sum + one.price, 0);
