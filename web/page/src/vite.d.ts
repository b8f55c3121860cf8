/// <reference types="vite/client" />
declare module 'katex/dist/katex.min.css';
