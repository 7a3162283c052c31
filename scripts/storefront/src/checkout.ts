export const withTax = (price: number, rate: number) => price + (price * rate) / 100;
